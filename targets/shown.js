// What a reproduction shows, under Node and in a page.

export const RIGHT = "nothing wrong";

// What is wrong of triples of what is there, what ought to be, and its name: a line for each.
export function shown(triples) {
  const wrong = triples.filter(([got, wanted]) => got !== wanted);
  return wrong.map(([got, wanted, what]) => `${what}: ${got} instead of ${wanted}`).join("\n") || RIGHT;
}

// Runs `body`, which gives such triples, and prints what is wrong of them.
export async function show(device, body) {
  device.addEventListener("uncapturederror", ({ error }) => {
    console.log(`device: ${error.message.split("\n")[0]}`);
  });
  const text = shown(await body());
  console.log(text);
  process.exitCode = text === RIGHT ? 0 : 1;
  device.destroy();
}
