// A GPU buffer that is fed with another shape than before still counts as one of the first shape.
import { outcome } from "./harness.js";

export default async function (ort) {
  const session = await ort.session("Reshape", ["x", "shape"], {}, "any");
  const x = ort.gpuTensor(1, 2, 3, 4);
  await outcome(session, x);
  return [[await outcome(session, ort.head(x, 2)), "1 2", "the run over half of the buffer"]];
}
