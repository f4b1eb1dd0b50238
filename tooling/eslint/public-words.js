/**
 * Holds what the words of an exported function, method or constructor must name, where it has words:
 * each parameter that is a number (its unit or range), that it throws, each errno that it returns.
 *
 * A name counts as told in a `@param` with a description, or in backticks in the text. `{@inheritDoc}`
 * leaves it to the words that it points to. That there are words at all is held by the API report.
 */
const INHERITED = /\{@inheritDoc\b/;
const ERRNO = /^E[A-Z0-9]+$/;
const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression', 'TSDeclareFunction', 'TSEmptyBodyFunctionExpression']);

export const publicWords = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      parameter: '{{name}} is a number: say its unit or range (@param {{name}}, or `{{name}}` in the text)',
      throws: 'it throws: say what and when (@throws)',
      errno: 'it returns -{{name}}: say when',
    },
  },
  create(context) {
    const { sourceCode } = context;

    function check(outer, fn) {
      const words = sourceCode.getCommentsBefore(outer).findLast(({ type, value }) => type === 'Block' && value.startsWith('*'))?.value;
      if (words === undefined || INHERITED.test(words)) return;
      for (const { name, node } of fn.params.map(numberParameter).filter((found) => found !== undefined)) {
        const told = new RegExp(`@param ${name}\\s+(?:- *)?\\S|\`${name}\``);
        if (!told.test(words)) context.report({ node, messageId: 'parameter', data: { name } });
      }
      if (fn.body == null) return;
      const { throws, errnos } = endings(fn.body, sourceCode.visitorKeys);
      if (throws && !/\bthrow(?:s|n)?\b/i.test(words)) context.report({ node: outer, messageId: 'throws' });
      for (const name of errnos) {
        if (!new RegExp(`\\b${name}\\b`).test(words)) context.report({ node: outer, messageId: 'errno', data: { name } });
      }
    }

    function exported(node) {
      if (node.type === 'FunctionDeclaration' || node.type === 'TSDeclareFunction') check(node.parent, node);
      if (node.type === 'ClassDeclaration' || node.type === 'TSInterfaceDeclaration') node.body.body.forEach(member);
      if (node.type === 'VariableDeclaration') {
        for (const { init } of node.declarations) if (init != null && FUNCTIONS.has(init.type)) check(node.parent, init);
      }
    }

    function member(node) {
      if (node.key?.type === 'PrivateIdentifier' || node.accessibility === 'private') return;
      if (['MethodDefinition', 'TSAbstractMethodDefinition'].includes(node.type)) check(node, node.value);
      if (node.type === 'TSMethodSignature') check(node, node);
    }

    return {
      'ExportNamedDeclaration[declaration!=null]': (node) => exported(node.declaration),
    };
  },
};

/** A parameter that is a number by its annotation or its default. */
function numberParameter(node) {
  const inner = node.type === 'TSParameterProperty' ? node.parameter : node;
  const target = inner.type === 'AssignmentPattern' ? inner.left : inner;
  if (target.type !== 'Identifier') return undefined;
  const annotated = target.typeAnnotation?.typeAnnotation.type === 'TSNumberKeyword';
  const byDefault = inner.type === 'AssignmentPattern' && inner.right.type === 'Literal' && typeof inner.right.value === 'number';
  return annotated || byDefault ? { name: target.name, node: target } : undefined;
}

/** Whether a body throws an error that it makes, and the errnos that it returns by name; functions inside it are others. */
function endings(body, visitorKeys) {
  const errnos = new Set();
  let throws = false;
  walk(body);
  return { throws, errnos };

  function walk(node) {
    if (FUNCTIONS.has(node.type)) return;
    if (node.type === 'ThrowStatement' && node.argument.type === 'NewExpression') throws = true;
    if (node.type === 'ReturnStatement' && node.argument != null) returned(node.argument);
    for (const key of visitorKeys[node.type] ?? []) {
      for (const child of [node[key]].flat()) if (child != null) walk(child);
    }
  }

  function returned(node) {
    if (node.type === 'ConditionalExpression') {
      returned(node.consequent);
      returned(node.alternate);
    }
    if (node.type === 'UnaryExpression' && node.operator === '-' && node.argument.type === 'Identifier' && ERRNO.test(node.argument.name)) errnos.add(node.argument.name);
  }
}
