// A tensor is made of a buffer of the usage that is asked for, and what was recorded before is lost.
import { USAGE, reproduce } from "./harness.mjs";

await reproduce(async (tf, device) => {
  const sums = tf.add(tf.zeros([1000]), 7);
  const buffer = device.createBuffer({ size: 16, usage: USAGE, mappedAtCreation: true });
  new Float32Array(buffer.getMappedRange()).fill(5);
  buffer.unmap();
  const copied = tf.tensor({ buffer }, [4], "float32");
  return [
    [(await sums.data())[0], 7, "the sum that was recorded before"],
    [await copied.data(), "5,5,5,5", "the tensor"],
  ];
});
