// A captured graph does not copy when it is run again.
import { outcome } from "./harness.js";

export default async function (ort) {
  const session = await ort.session("Reshape", ["x", "shape"], { enableGraphCapture: true });
  const x = ort.gpuTensor(1, 2, 3, 4);
  await outcome(session, x);
  ort.device.queue.writeBuffer(x.gpuBuffer, 0, Int32Array.of(5, 6, 7, 8));
  return [[await outcome(session, x), "5 6 7 8", "the second run"]];
}
