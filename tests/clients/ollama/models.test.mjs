// What Ollama's own client gets from a daemon with the demonstration model and one for embeddings: every method of it
// that is claimed. Run by tests/clients/ollama_client.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ollama } from "ollama";

const client = new Ollama({ host: process.env.OLLAMA_HOST });
const model = "demonstration";
const ask = (content, more = {}) => ({ model, messages: [{ role: "user", content }], ...more });
const bash = {
  type: "function",
  function: { name: "bash", description: "Run a command", parameters: { type: "object", properties: { command: { type: "string" } }, required: ["command"] } },
};
const all = async (lines) => {
  const parts = [];
  for await (const line of lines) parts.push(line);
  return parts;
};

test("version, list, show and ps", async () => {
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
  const { models } = await client.list();
  assert.deepEqual(models.map((each) => each.name).sort(), [model, "embedder"]);
  assert.ok(models.every((each) => each.size > 0 && each.details.format === "gguf"));
  assert.deepEqual((await client.show({ model })).capabilities, ["completion"]);
  await client.chat(ask("Hello"));
  assert.ok((await client.ps()).models.some((each) => each.name === model));
});

test("chat, whole and streamed", async () => {
  const whole = await client.chat(ask("What is AI?"));
  assert.match(whole.message.content, /artificial intelligence/);
  assert.deepEqual([whole.model, whole.done, whole.done_reason, whole.message.role], [model, true, "stop", "assistant"]);
  for (const name of ["total_duration", "prompt_eval_count", "eval_count", "eval_duration"]) assert.ok(whole[name] > 0, name);
  const lines = await all(await client.chat(ask("What is AI?", { stream: true })));
  const last = lines.at(-1);
  assert.equal(lines.map((line) => line.message.content).join(""), whole.message.content);
  assert.deepEqual([last.done, last.done_reason, last.eval_count], [true, "stop", whole.eval_count]);
  assert.ok(lines.slice(0, -1).every((line) => line.done === false));
  assert.equal((await client.chat(ask("Hello", { model: `${model}:latest` }))).model, `${model}:latest`);
});

test("options and why an answer ended", async () => {
  const options = { num_predict: 3, temperature: 0, seed: 1, num_ctx: 8192 };
  const cut = await client.chat(ask("What is AI?", { options }));
  assert.deepEqual([cut.done_reason, cut.eval_count], ["length", 3]);
  const stopped = await client.generate({ model, prompt: "What is AI?", options: { stop: ["artificial"] } });
  assert.deepEqual([stopped.done_reason, stopped.response], ["stop", "AI, or "]);
  await assert.rejects(client.chat(ask("x", { options: { nonsense: 1 } })), /nonsense/);
});

test("a tool is called, and its result is heard", async () => {
  const question = ask("Which kernel is running?", { tools: [bash] });
  const whole = await client.chat(question);
  const lines = await all(await client.chat({ ...question, stream: true }));
  const calls = [whole.message.tool_calls, lines.flatMap((line) => line.message.tool_calls ?? [])];
  for (const [call] of calls) assert.deepEqual([call.function.name, call.function.arguments], ["bash", { command: "uname -r" }]);
  const messages = [...question.messages, whole.message, { role: "tool", tool_name: "bash", content: "6.1.0-17-amd64" }];
  assert.match((await client.chat({ ...question, messages })).message.content, /6\.1\.0-17-amd64/);
});

test("answers in a schema", async () => {
  const format = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const answer = await client.chat(ask("Hello", { format, options: { num_predict: 50 } }));
  assert.equal(typeof JSON.parse(answer.message.content).ok, "boolean");
});

test("generate, whole, streamed and raw", async () => {
  const whole = await client.generate({ model, prompt: "What is AI?", system: "Be brief." });
  assert.match(whole.response, /artificial intelligence/);
  const lines = await all(await client.generate({ model, prompt: "What is AI?", system: "Be brief.", stream: true }));
  assert.equal(lines.map((line) => line.response).join(""), whole.response);
  const raw = await client.generate({ model, prompt: "Hello", raw: true, options: { num_predict: 3 } });
  assert.equal(raw.eval_count, 3);
});

test("a model is loaded for who has nothing to ask", async () => {
  assert.equal((await client.generate({ model, prompt: "", keep_alive: "5m" })).done_reason, "load");
  assert.equal((await all(await client.chat({ model, messages: [], stream: true })))[0].done_reason, "load");
  assert.equal((await client.generate({ model, prompt: "", keep_alive: 0 })).done_reason, "unload");
  assert.ok((await client.ps()).models.every((each) => each.name !== model));
});

test("embed and embeddings", async () => {
  const { embeddings, prompt_eval_count } = await client.embed({ model: "embedder", input: ["one", "two"] });
  assert.deepEqual(embeddings.map((each) => each.length), [64, 64]);
  assert.ok(prompt_eval_count > 0);
  const { embedding } = await client.embeddings({ model: "embedder", prompt: "one" });
  embedding.forEach((number, at) => assert.ok(Math.abs(number - embeddings[0][at]) < 1e-6));
});

test("models that come and go", async () => {
  const steps = [];
  for await (const step of await client.pull({ model: "small:3b", stream: true })) steps.push(step);
  assert.equal(steps[0].status, "pulling manifest");
  assert.equal(steps.at(-1).status, "success");
  assert.ok((await client.list()).models.some((each) => each.name === "small:3b"));
  assert.equal((await client.pull({ model: "small:3b" })).status, "success");
  await client.delete({ model: "small:3b" });
  assert.ok(!(await client.list()).models.some((each) => each.name === "small:3b"));
});

test("errors", async () => {
  const missing = (error) => error.status_code === 404 && /llama3/.test(error.message);
  await assert.rejects(client.chat(ask("x", { model: "llama3" })), missing);
  await assert.rejects(client.chat(ask("x", { model: "llama3", stream: true })), missing);
  await assert.rejects(client.show({ model: "llama3" }), missing);
  await assert.rejects(client.generate({ model, prompt: "a", suffix: "b" }), /suffix/);
  await assert.rejects(client.delete({ model: "llama3" }), missing);
  await assert.rejects(client.pull({ model: "llama3" }), missing);
});

test("an answer that is aborted", async () => {
  const lines = await client.chat(ask("Introduce yourself.", { stream: true }));
  for await (const line of lines) {
    assert.ok(line.message);
    lines.abort();
    break;  // all of a short answer may be here already: then nothing is left that could be rejected
  }
  assert.ok(lines.abortController.signal.aborted);
  assert.equal((await client.chat(ask("Hello"))).done, true);
});
