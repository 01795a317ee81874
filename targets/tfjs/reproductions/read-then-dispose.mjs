// A read that was begun rejects once its tensor is disposed of.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const sums = tf.add(tf.zeros([1000]), 7);
  const read = sums.data();
  sums.dispose();
  const got = await read.then((values) => values[0], (error) => `${error}`);
  return [[got, 7, "the first of the values"]];
});
