// Whether a session may be given another GPU buffer is asked of the session that ran last.
import { outcome } from "./harness.js";

export default async function (ort) {
  const captured = await ort.session("Add", ["x", "x"], { enableGraphCapture: true });
  const plain = await ort.session("Add", ["x", "x"]);
  await outcome(plain, ort.gpuTensor(1, 1, 1, 1));
  await outcome(captured, ort.gpuTensor(2, 2, 2, 2));
  const refused = await outcome(plain, ort.gpuTensor(3, 3, 3, 3));
  await outcome(plain, ort.tensor(4, 4, 4, 4)); // The plain session is the last one now.
  const stale = await outcome(captured, ort.gpuTensor(5, 5, 5, 5));
  return [
    [refused, "6 6 6 6", "the plain session over another buffer"],
    [String(stale === "4 4 4 4"), "false", "that the captured session runs over its first buffer"],
  ];
}
