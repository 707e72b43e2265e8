// What Anthropic's own client gets from a daemon with the demonstration model: every method of it that is claimed.
// Run by tests/clients/anthropic_client.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const baseURL = process.env.ANTHROPIC_BASE_URL;
const client = new Anthropic();
const model = "demonstration";
const ask = (content, more = {}) => ({ model, max_tokens: 200, messages: [{ role: "user", content }], ...more });
const bash = {
  name: "bash",
  description: "Run a command",
  input_schema: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
};

test("messages.create, whole and streamed", async () => {
  const whole = await client.messages.create(ask("What is AI?"));
  assert.match(whole.content[0].text, /artificial intelligence/);
  assert.match(whole.id, /^msg_/);
  assert.deepEqual([whole.type, whole.role, whole.model, whole.stop_reason], ["message", "assistant", model, "end_turn"]);
  let text = "";
  let usage;
  for await (const event of await client.messages.create(ask("What is AI?", { stream: true }))) {
    if (event.type === "content_block_delta") text += event.delta.text;
    if (event.type === "message_delta") usage = event.usage;
  }
  assert.equal(text, whole.content[0].text);
  const ofPrompt = ({ input_tokens, cache_read_input_tokens }) => input_tokens + cache_read_input_tokens;
  assert.deepEqual([ofPrompt(usage), usage.output_tokens], [ofPrompt(whole.usage), whole.usage.output_tokens]);
  assert.equal(usage.cache_creation_input_tokens, 0);
});

test("messages.stream, which is strict about the order of what it hears", async () => {
  const stream = client.messages.stream(ask("Introduce yourself."));
  const texts = [];
  stream.on("text", (text) => texts.push(text));
  const final = await stream.finalMessage();
  assert.match(final.content[0].text, /demonstration model/);
  assert.equal(texts.join(""), final.content[0].text);
  assert.match(await client.messages.stream(ask("What is AI?")).finalText(), /artificial intelligence/);
});

test("why an answer ended", async () => {
  const stopped = ask("What is AI?", { stop_sequences: ["artificial"] });
  for (const answer of [await client.messages.create(stopped), await client.messages.stream(stopped).finalMessage()])
    assert.deepEqual([answer.stop_reason, answer.stop_sequence], ["stop_sequence", "artificial"]);
  assert.equal((await client.messages.create(ask("What is AI?", { max_tokens: 3 }))).stop_reason, "max_tokens");
});

test("a tool is called, and its result is heard", async () => {
  const question = ask("Which kernel is running?", { tools: [bash] });
  const streamed = await client.messages.stream(question).finalMessage();
  for (const answer of [await client.messages.create(question), streamed]) {
    const [call] = answer.content;
    assert.deepEqual([answer.stop_reason, call.type, call.name, call.input], ["tool_use", "tool_use", "bash", { command: "uname -r" }]);
  }
  const result = { type: "tool_result", tool_use_id: streamed.content[0].id, content: "6.1.0-17-amd64" };
  const told = await client.messages.create({
    ...question, messages: [...question.messages, { role: "assistant", content: streamed.content }, { role: "user", content: [result] }],
  });
  assert.match(told.content[0].text, /6\.1\.0-17-amd64/);
});

test("a tool's block begins with its input", async () => {
  for await (const event of await client.messages.create(ask("Which kernel is running?", { tools: [bash], stream: true })))
    if (event.type === "content_block_start") assert.deepEqual(event.content_block.input, {});
});

test("messages.countTokens", async () => {
  const { max_tokens, ...request } = ask("What is AI?");
  const { input_tokens } = await client.messages.countTokens(request);
  const { usage } = await client.messages.create({ ...request, max_tokens: 1 });
  assert.equal(input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
});

test("what is in beta has the same path", async () => {
  const answer = await client.beta.messages.create(ask("What is AI?"));
  assert.match(answer.content[0].text, /artificial intelligence/);
});

test("models.list and models.retrieve", async () => {
  const listed = [];
  for await (const each of client.models.list({ limit: 1 })) listed.push(each);
  assert.deepEqual(listed.map((each) => [each.id, each.type]), [[model, "model"]]);
  assert.equal(typeof listed[0].display_name, "string");
  assert.ok(!Number.isNaN(Date.parse(listed[0].created_at)));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test("a key may come as older clients send it", async () => {
  const answer = await fetch(`${baseURL}/v1/messages`, {
    method: "POST", body: JSON.stringify(ask("Hello")),
    headers: { "Content-Type": "application/json", "X-Api-Key": "any word", "anthropic-version": "2023-06-01" },
  });
  assert.equal(answer.status, 200);
});

test("errors", async () => {
  await assert.rejects(client.messages.create(ask("x", { model: "claude-opus" })), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError);
    assert.deepEqual([error.error.type, error.error.error.type], ["error", "not_found_error"]);
    return true;
  });
  await assert.rejects(client.messages.create({ model, max_tokens: 5 }), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create(ask("x", { model: 5 })), Anthropic.BadRequestError);
  await assert.rejects(client.models.retrieve("claude-opus"), Anthropic.NotFoundError);
});

test("an answer that is aborted", async () => {
  const events = await client.messages.create(ask("Introduce yourself.", { stream: true }));
  for await (const event of events) {
    assert.ok(event.type);
    break;  // aborts
  }
  assert.ok(events.controller.signal.aborted);
  assert.equal((await client.messages.create(ask("Hello"))).type, "message");
});
