/**
 * Reports a coroutine that nobody runs.
 *
 * A function that may sleep returns `Sleeps<T>`, a generator, and its body starts only when a thread
 * runs it: `dev.unregister();` does nothing at all. Write `yield* dev.unregister();`, or give it to the
 * scheduler (`spawn`, `call`). Also reported: an arrow function whose caller drops its result, as in
 * `devices.forEach((dev) => dev.unregister())`.
 */
import { ESLintUtils } from '@typescript-eslint/utils';

export const floatingSleeps = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { floating: 'a Sleeps<T> that nobody runs: yield* it, or spawn it' },
  },
  create(context) {
    const services = ESLintUtils.getParserServices(context);
    const checker = services.program.getTypeChecker();

    /** Looks into unions, as those of `dev?.unregister()` and `open && dev.unregister()`. */
    function sleeps(type) {
      if (type.isUnion()) return type.types.some(sleeps);
      return type.aliasSymbol?.name === 'Sleeps' || type.symbol?.name === 'Generator';
    }

    function returnsVoid(node) {
      const wanted = checker.getContextualType(services.esTreeNodeToTSNodeMap.get(node));
      const signatures = wanted?.getCallSignatures() ?? [];
      return (
        signatures.length > 0 &&
        signatures.every((signature) => checker.typeToString(checker.getReturnTypeOfSignature(signature)) === 'void')
      );
    }

    return {
      ExpressionStatement(node) {
        if (node.expression.type === 'AssignmentExpression') return; // kept for later
        if (sleeps(services.getTypeAtLocation(node.expression))) context.report({ node, messageId: 'floating' });
      },
      'UnaryExpression[operator="void"]'(node) {
        if (sleeps(services.getTypeAtLocation(node.argument))) context.report({ node, messageId: 'floating' });
      },
      'ArrowFunctionExpression[expression=true]'(node) {
        if (sleeps(services.getTypeAtLocation(node.body)) && returnsVoid(node)) {
          context.report({ node: node.body, messageId: 'floating' });
        }
      },
    };
  },
};
