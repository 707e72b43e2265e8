// What OpenAI's own client gets from a daemon with the demonstration model: every method of it that is claimed.
// Run by tests/clients/openai_client.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.LM_SANDBOX_HOST}/v1`, apiKey: "any word" });
const model = "demonstration";
const ask = (content) => ({ model, messages: [{ role: "user", content }] });
const bash = {
  name: "bash",
  description: "Run a command",
  parameters: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
};

test("models.list and models.retrieve", async () => {
  const ids = [];
  for await (const each of client.models.list()) ids.push(each.id);
  assert.deepEqual(ids, [model]);
  const one = await client.models.retrieve(model);
  assert.deepEqual([one.id, one.object], [model, "model"]);
});

test("chat.completions.create, whole and streamed", async () => {
  const whole = await client.chat.completions.create(ask("What is AI?"));
  assert.match(whole.choices[0].message.content, /artificial intelligence/);
  assert.equal(whole.choices[0].finish_reason, "stop");
  let text = "";
  let usage;
  const events = await client.chat.completions.create({
    ...ask("What is AI?"), stream: true, stream_options: { include_usage: true },
  });
  for await (const event of events) {
    text += event.choices[0]?.delta.content ?? "";
    usage = event.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("chat.completions.stream, which is strict about the order of what it hears", async () => {
  const stream = client.chat.completions.stream(ask("Introduce yourself."));
  const final = await stream.finalChatCompletion();
  assert.match(final.choices[0].message.content, /demonstration model/);
});

test("chat.completions.runTools, whole and streamed", async () => {
  for (const stream of [false, true]) {
    const commands = [];
    const run = ({ command }) => {
      commands.push(command);
      return "6.1.0-17-amd64";
    };
    const runner = client.chat.completions.runTools({
      ...ask("Which kernel is running?"), stream,
      tools: [{ type: "function", function: { ...bash, function: run, parse: JSON.parse } }],
    });
    assert.match(await runner.finalContent(), /6\.1\.0-17-amd64/);
    assert.deepEqual(commands, ["uname -r"]);
  }
});

test("answers in a schema", async () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const answer = await client.chat.completions.create({
    ...ask("Hello"), max_tokens: 50, response_format: { type: "json_schema", json_schema: { name: "x", strict: true, schema } },
  });
  assert.equal(typeof JSON.parse(answer.choices[0].message.content).ok, "boolean");
});

test("completions.create, whole and streamed", async () => {
  const request = { model, prompt: "Hello", max_tokens: 5 };
  const whole = await client.completions.create(request);
  let text = "";
  for await (const event of await client.completions.create({ ...request, stream: true })) text += event.choices[0].text;
  assert.equal(text, whole.choices[0].text);
});

test("errors", async () => {
  await assert.rejects(client.chat.completions.create({ ...ask("x"), model: "gpt-4o" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...ask("x"), messages: "x" }), OpenAI.BadRequestError);
  await assert.rejects(client.models.retrieve("gpt-4o"), OpenAI.NotFoundError);
});

test("an answer that is aborted", async () => {
  const events = await client.chat.completions.create({ ...ask("Introduce yourself."), stream: true });
  for await (const event of events) {
    assert.ok(event.choices);
    break;  // aborts: to read on after abort() may wait for ever in Node 20, whose fetch forgets who waits
  }
  assert.ok(events.controller.signal.aborted);
  assert.equal((await client.chat.completions.create(ask("Hello"))).choices.length, 1);
});
