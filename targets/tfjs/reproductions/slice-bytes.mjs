// The bytes of a slice are those of the tensor that it was cut from.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const tensor = tf.tensor1d([1, 2, 3, 4], "int32");
  const part = tf.slice(tensor, 2, 1);
  return [
    [await part.data(), "3", "the values"],
    [await part.bytes(), "3,0,0,0", "the bytes"],
  ];
});
