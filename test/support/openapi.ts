import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The part of JSON Schema that WorkOS's API description uses. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  minItems?: number;
}

interface Operation {
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: Schema }> }>;
}

interface Description {
  paths: Record<string, Record<string, Operation>>;
}

/** The API description that WorkOS publishes. */
const description = parse(
  readFileSync(
    new URL('../../node_modules/@workos/openapi-spec/open-api-spec.yaml', import.meta.url),
    'utf8',
  ),
) as Description;

function resolve<T extends { $ref?: string }>(value: T): T {
  if (value.$ref === undefined) return value;
  const path = value.$ref.slice(2).split('/');
  const found = path.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], description);
  return resolve(found as T);
}

/**
 * The path template in the description that an address matches. A literal segment takes precedence over a parameter.
 */
function templateOf(path: string, method: string): string | undefined {
  const segments = path.split('/');
  const matching = Object.keys(description.paths).filter((template) => {
    const expected = template.split('/');
    return (
      description.paths[template]![method] !== undefined &&
      expected.length === segments.length &&
      expected.every((segment, index) => segment.startsWith('{') || segment === segments[index])
    );
  });
  const parameters = (template: string) => template.split('{').length;
  return matching.sort((a, b) => parameters(a) - parameters(b))[0];
}

/** The ways in which a response violates WorkOS's API description. */
export function responseProblems(
  { method, path }: { method: string; path: string },
  status: number,
  body: unknown,
): string[] {
  const verb = method.toLowerCase();
  const template = templateOf(path, verb);
  if (template === undefined) return [`${method} ${path} is not described`];
  const { responses } = description.paths[template]![verb]!;
  const described = responses[String(status)];
  if (!described) return [`${method} ${template} does not answer ${status}`];
  const schema = Object.values(resolve(described).content ?? {})[0]?.schema;
  return schema ? problems(body, schema, `${method} ${template} ${status}`) : [];
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

function problems(value: unknown, reference: Schema, at: string): string[] {
  const schema = resolve(reference);
  const found = [...typeProblems(value, schema, at), ...compositionProblems(value, schema, at)];
  if (Array.isArray(value) && schema.items)
    found.push(...value.flatMap((item, index) => problems(item, schema.items!, `${at}[${index}]`)));
  if (typeOf(value) !== 'object') return found;
  const object = value as Record<string, unknown>;
  for (const name of schema.required ?? []) if (!(name in object)) found.push(`${at}.${name} is missing`);
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    if (name in object) found.push(...problems(object[name], property, `${at}.${name}`));
  return found;
}

function typeProblems(value: unknown, { type, const: constant, enum: values, format }: Schema, at: string) {
  const found: string[] = [];
  const types = type === undefined ? [] : [type].flat();
  const fits = types.some(
    (one) => one === typeOf(value) || (one === 'integer' && Number.isInteger(value)) || one === 'any',
  );
  if (types.length > 0 && !fits) found.push(`${at} is ${typeOf(value)}, not ${types.join(' or ')}`);
  if (constant !== undefined && value !== constant) found.push(`${at} is not ${JSON.stringify(constant)}`);
  if (values && !values.includes(value) && value !== null)
    found.push(`${at} is ${JSON.stringify(value)}, not one of ${values.join(', ')}`);
  if (format === 'date-time' && typeof value === 'string' && new Date(value).toJSON() !== value)
    found.push(`${at} is not a date`);
  return found;
}

function compositionProblems(value: unknown, { allOf, anyOf, oneOf }: Schema, at: string): string[] {
  const found = (allOf ?? []).flatMap((schema) => problems(value, schema, at));
  const either = anyOf ?? oneOf;
  if (!either) return found;
  const each = either.map((schema) => problems(value, schema, at));
  if (each.some((list) => list.length === 0)) return found;
  return [...found, ...each.sort((a, b) => a.length - b.length)[0]!];
}
