// `denseBincount` with `binaryOutput` does not compile, and what is recorded around it is lost.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const earlier = tf.add(tf.ones([1000]), 1);
  const appear = (x, weights) => tf.denseBincount(tf.cast(x, "int32"), weights, 4, true);
  const [one, two] = [appear([1, 1, 2], []), appear([[1, 1], [0, 3]], [])];
  const weighed = appear([1, 1, 2], [5, 6, 7]);
  const later = tf.add(tf.ones([1000]), 2);
  return [
    [await one.data(), "0,1,1,0", "the values that 1, 1 and 2 are"],
    [await two.data(), "0,1,0,0,1,0,0,1", "the values of two rows"],
    [await weighed.data(), "0,1,1,0", "the values that 1, 1 and 2 are, with weights"],
    [(await later.data())[0], "3", "what was computed after"],
    [(await earlier.data())[0], "2", "what was computed before"],
  ];
});
