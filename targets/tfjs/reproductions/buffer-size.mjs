// A tensor of a buffer that is larger than the tensor has more values than its shape.
import { USAGE, reproduce } from "./harness.mjs";

await reproduce(async (tf, device) => {
  const buffer = device.createBuffer({ size: 256, usage: USAGE });
  const tensor = tf.tensor({ buffer, zeroCopy: true }, [4], "float32");
  return [[(await tensor.data()).length, tensor.size, "the number of values"]];
});
