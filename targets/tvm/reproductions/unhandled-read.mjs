// A read that fails before anybody waits for it ends the process, under Node and Deno.
//
// Here the device goes while the read is under way.  WebGPU then rejects the map.  The caller waits
// for the loss first, and would catch the error of the sync.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const unhandled = [];
  process.on("unhandledRejection", (error) => unhandled.push(error.name));
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 2, 3, 4]);
  tvm.read(tensor, 4);
  tvm.device.destroy();
  await tvm.device.lost;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const ends = await tvm.context.sync().then(() => "returns", () => "raises");
  return [
    [ends, "raises", "the sync after the read"],
    [unhandled.join() || "none", "none", "promises that were rejected and that nobody could handle"],
  ];
});
