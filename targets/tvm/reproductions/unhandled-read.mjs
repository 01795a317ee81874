// A read that fails while nobody waits for it is a rejection that nobody can handle.
//
// Here the device goes while three reads are under way.  WebGPU then rejects the maps.  A sync waits for
// the first two, and its error is caught; but once the first has failed, nobody waits for the second.
// The caller waits for the loss before the sync after the third, and would catch that error too.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const unhandled = [];
  process.on("unhandledRejection", (error) => unhandled.push(error.name));
  const ends = () => tvm.context.sync().then(() => "returns", () => "raises");
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 2, 3, 4]);
  tvm.read(tensor, 4);
  tvm.read(tensor, 4);
  const first = ends();
  tvm.read(tensor, 4);
  tvm.device.destroy();
  await tvm.device.lost;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return [
    [await first, "raises", "the sync after two reads"],
    [await ends(), "raises", "the sync after the third"],
    [unhandled.join() || "none", "none", "promises that were rejected and that nobody could handle"],
  ];
});
