// Vercel's AI SDK at its defaults: one prompt, two tools, as many steps as it takes. Prints what came of it.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const [baseURL, apiKey, model, how] = process.argv.slice(2);
const city = jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] });
const options = {
  model: createOpenAI({ baseURL, apiKey })(model),
  prompt: "How is Paris, and how big?",
  stopWhen: stepCountIs(5),
  tools: {
    get_weather: tool({ description: "The weather.", inputSchema: city, execute: async ({ city }) => `sun in ${city}` }),
    get_size: tool({ description: "The size.", inputSchema: city, execute: async ({ city }) => `${city} is big` }),
  },
  onError({ error }) {
    console.error(error);
    process.exitCode = 1;
  },
};
const result = how === "stream" ? streamText(options) : await generateText(options);
console.log(JSON.stringify({ text: await result.text, steps: (await result.steps).length }));
