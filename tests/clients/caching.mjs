// Plays rounds with an npm client: each line of standard input holds rounds as JSON, see caching.py; what
// each step listed is printed as a line.
// Usage: node caching.mjs FOLDER PACKAGE, where npm installed PACKAGE into FOLDER.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const TIMEOUT = { timeout: 20_000 };
const LISTS = {
  tools: ["listTools", "tools"],
  resources: ["listResources", "resources"],
  "resources/templates": ["listResourceTemplates", "resourceTemplates"],
  prompts: ["listPrompts", "prompts"],
};

const [folder, name] = process.argv.slice(2);
const npm = createRequire(join(folder, "package.json"))(name);

class Hand {
  constructor(keeper, round, store) {
    this.headers = {};
    this.client = new npm.Client(
      { name: "scopedtools-tests", version: "1.0" },
      {
        capabilities: { extensions: keeper.extensions },
        versionNegotiation: { mode: "auto" },
        cachePartition: keeper.user,
        ...(store && { responseCacheStore: store }),
      },
    );
    this.transport = new npm.StreamableHTTPClientTransport(new URL(round.url), {
      fetch: (url, init) => {
        const headers = new Headers(init.headers);
        for (const [header, value] of Object.entries(this.headers)) {
          headers.set(header, value);
        }
        return fetch(url, { ...init, headers });
      },
    });
  }

  async take(step) {
    this.headers = step.headers;
    const names = [];
    for (const kind of step.kinds) {
      names.push(...(await this.names(kind, step.meta)));
    }
    return names;
  }

  async names(kind, meta) {
    const [verb, field] = LISTS[kind];
    try {
      const result = await this.client[verb](meta === null ? undefined : { _meta: meta }, TIMEOUT);
      return result[field].map((row) => row.name);
    } catch (error) {
      return [error.code === npm.SdkErrorCode.InvalidResult ? "invalid result" : `error ${error.code}`];
    }
  }
}

async function play(round) {
  const store = round.shared ? new npm.InMemoryResponseCacheStore() : undefined;
  const hands = round.clients.map((keeper) => new Hand(keeper, round, store));
  try {
    for (const { client, transport } of hands) {
      await client.connect(transport, TIMEOUT);
    }
    const answers = [];
    for (const step of round.steps) {
      answers.push(await hands[step.client].take(step));
    }
    return { answers };
  } catch (error) {
    return { failure: error.stack };
  } finally {
    await Promise.all(hands.map(({ client }) => client.close()));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const sights = await Promise.all(JSON.parse(line).map(play));
  process.stdout.write(`${JSON.stringify(sights)}\n`);
}
