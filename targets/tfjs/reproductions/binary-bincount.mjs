// `denseBincount` with `binaryOutput` does not compile, and takes what was recorded before it along.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const earlier = tf.add(tf.ones([1000]), 1);
  const appear = (x) => tf.denseBincount(tf.cast(x, "int32"), tf.tensor1d([]), 4, true);
  const [one, two] = [appear(tf.tensor1d([1, 1, 2])), appear(tf.tensor2d([[1, 1], [0, 3]]))];
  return [
    [await one.data(), "0,1,1,0", "the values that 1, 1 and 2 are"],
    [await two.data(), "0,1,0,0,1,0,0,1", "the values of two rows"],
    [(await earlier.data())[0], "2", "what was computed before"],
  ];
});
