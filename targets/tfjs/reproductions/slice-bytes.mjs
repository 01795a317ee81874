// The bytes of a tensor are those of the whole array that its values are a part of.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const four = tf.tensor1d([1, 2, 3, 4], "int32");
  const cut = tf.slice(four, 2, 1);
  const made = tf.tensor1d(new Int32Array([1, 2, 3, 4]).subarray(2, 3), "int32");
  return [
    [await cut.data(), "3", "the values of a slice"],
    [await cut.bytes(), "3,0,0,0", "the bytes of a slice"],
    [await made.bytes(), "3,0,0,0", "the bytes of a tensor made of a part of an array"],
  ];
});
