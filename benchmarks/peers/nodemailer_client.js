// nodemailer's pool as a client to measure. Twice as many senders as connections, so that the pool always has
// a message waiting. Options and output are those of the clients in Python (common.py).
"use strict";

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { parseArgs } = require("node:util");

const names = ["modules", "port", "message", "connections", "recipients", "times", "warm-up"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
const { values } = parseArgs({ options });
const nodemailer = require(join(values.modules, "nodemailer"));
const { version } = require(join(values.modules, "nodemailer", "package.json"));

const connections = Number(values.connections);
const raw = readFileSync(values.message);
const to = Array.from({ length: Number(values.recipients) }, (_, i) => `recipient${i}@example.org`);
const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port: Number(values.port),
  secure: false,
  ignoreTLS: true,
  name: "client",
  pool: true,
  maxConnections: connections,
  maxMessages: Infinity,
});

async function send(messages) {
  let left = messages;
  async function sender() {
    while (left > 0) {
      left -= 1;
      const info = await transport.sendMail({ envelope: { from: "sender@example.com", to }, raw });
      if (info.accepted.length !== to.length) throw new Error(`refused: ${info.response}`);
    }
  }
  await Promise.all(Array.from({ length: 2 * connections }, sender));
}

async function main() {
  const messages = Number(values.times) * connections;
  await send(Number(values["warm-up"]) * connections);
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  await send(messages);
  const wall = Number(process.hrtime.bigint() - started) / 1e9;
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / 1e6 / messages;
  process.stdout.write(JSON.stringify({ cpu, rate: messages / wall, version, node: process.version }));
  transport.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
