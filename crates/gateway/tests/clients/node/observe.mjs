// What a client saw, one JSON line a case, without what differs from one call to the next.
//
// The program is started with OPENAI_BASE_URL and OPENAI_API_KEY in its environment, as any program of a user
// is: nothing in it knows whether a proxy or octo answers.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.env.OCTO_TEST_NODE_MODULES;
const load = (path) => import(pathToFileURL(join(modules, path)).href);

export const { default: OpenAI } = await load("openai/index.mjs");
export const { zodResponseFormat } = await load("openai/helpers/zod.mjs");
export const { z } = await load("zod/index.js");

// Requests that went out, by path: each of them has to be in octo's books.
const sent = {};

export function client(options = {}) {
  const count = (url, init) => {
    if (init?.method?.toUpperCase() === "POST") {
      const { pathname } = new URL(url);
      sent[pathname] = (sent[pathname] ?? 0) + 1;
    }
    return fetch(url, init);
  };
  // Retries are asked for where they are the subject.
  return new OpenAI({ maxRetries: 0, fetch: count, ...options });
}

// A value as JSON, without what is not there.
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const there = Object.entries(value).filter(([, each]) => each !== null && each !== undefined);
  return Object.fromEntries(there.map(([name, each]) => [name, plain(each)]));
}

// What a program can tell of an error. The wording is not part of it.
export function failure(error) {
  let seen = error.constructor.name;
  if (error.status) seen += ` ${error.status}`;
  for (const name of ["code", "type", "param"]) {
    if (error[name]) seen += ` ${name}=${error[name]}`;
  }
  const wait = error.headers?.get?.("retry-after");
  return wait ? `${seen} retry-after=${wait}` : seen;
}

// What `call` throws.
export async function failing(call) {
  try {
    await call();
  } catch (error) {
    if (error instanceof OpenAI.OpenAIError) return failure(error);
    throw error;
  }
  return "nothing thrown";
}

export async function main(cases) {
  const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  for (const [name, observe] of Object.entries(cases)) {
    try {
      say({ case: name, ok: true, result: (await observe()) ?? null });
    } catch (error) {
      say({ case: name, ok: false, result: error.stack });
    }
  }
  say({ sent });
}
