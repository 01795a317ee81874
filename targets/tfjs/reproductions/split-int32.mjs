// A product of int32 tensors has the bits of an f32, where its inner dimension is long.
//
// A confusion matrix is such a product, and its inner dimension is the number of examples.
import { reproduce } from "./harness.mjs";

const [SIDE, CLASSES] = [16, 12];

await reproduce(async (tf) => {
  const first = async (matrix) => (await matrix.data())[0];
  const product = (inner) => tf.matMul(tf.ones([SIDE, inner], "int32"), tf.ones([inner, SIDE], "int32"));
  const classes = tf.tensor1d(Int32Array.from({ length: 2400 }, (_, i) => i % CLASSES), "int32");
  return [
    [await first(product(1024)), "1024", "the product of ones with an inner dimension of 1,024"],
    [await first(product(2048)), "2048", "the product of ones with an inner dimension of 2,048"],
    [await first(tf.math.confusionMatrix(classes, classes, CLASSES)), "200", "the confusion matrix of 2,400 examples"],
  ];
});
