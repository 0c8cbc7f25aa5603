/** HTML that is safe to send: `html` escapes every value that is not itself an `Html`. */
export class Html {
  constructor(readonly text: string) {}
}

export function html(strings: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const escaped = values.map((value) =>
    value instanceof Html ? value.text : value.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`),
  );
  return new Html(String.raw({ raw: strings }, ...escaped));
}

export function join(parts: readonly Html[]): Html {
  return new Html(parts.map(({ text }) => text).join(''));
}
