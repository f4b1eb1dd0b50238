/**
 * Reports sums, differences and comparisons of an address with a length.
 *
 * Addresses go to 2^64, numbers are exact to 2^53: `at < address + length` never ends, or ends at once, near the top. What asks
 * whether a range lies inside, overlaps or ends beyond something asks `memory/range.ts` of vfio-core, where this is exact.
 *
 * An operand is an address or a length by the last word of its name: `iova`, `mapping.vaddr`, `guestAddress`, `slot.gpa`;
 * `length`, `range.size`, `pageCount`. Number(x), BigInt(x) and x! are what x is.
 */
const ADDRESS = /(?:^|[a-z_])(?:address|addr|iova|vaddr|gpa|physical)$/i;
const LENGTH = /(?:^|[a-z_])(?:length|size|bytes|count)$/i;
const OPERATORS = new Set(['+', '-', '<', '<=', '>', '>=', '+=', '-=']);

/** The file that may: the helper itself. */
const HELPER = /packages\/vfio-core\/src\/memory\/range\.ts$/;

export const exactRanges = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { inexact: 'an address {{operator}} a length: ask memory/range.ts, which is exact to 2^64' },
  },
  create(context) {
    if (HELPER.test(context.filename.replaceAll('\\', '/'))) return {};

    function check(node) {
      if (!OPERATORS.has(node.operator)) return;
      const left = kind(node.left);
      const right = kind(node.right);
      if (!((left === 'address' && right === 'length') || (left === 'length' && right === 'address'))) return;
      context.report({ node, messageId: 'inexact', data: { operator: node.operator } });
    }
    return { BinaryExpression: check, AssignmentExpression: check };
  },
};

/** What an operand is by its name: an address, a length, or neither. A sum or difference with an address in it is an address. */
function kind(node) {
  switch (node.type) {
    case 'TSNonNullExpression':
    case 'TSAsExpression':
      return kind(node.expression);
    case 'CallExpression':
      return node.callee.type === 'Identifier' && ['Number', 'BigInt'].includes(node.callee.name) && node.arguments.length === 1 ? kind(node.arguments[0]) : undefined;
    case 'BinaryExpression':
      return ['+', '-'].includes(node.operator) && [node.left, node.right].some((part) => kind(part) === 'address') ? 'address' : undefined;
    case 'Identifier':
      return ofName(node.name);
    case 'PrivateIdentifier':
      return ofName(node.name);
    case 'MemberExpression':
      return node.computed ? undefined : kind(node.property);
    default:
      return undefined;
  }
}

function ofName(name) {
  return ADDRESS.test(name) ? 'address' : LENGTH.test(name) ? 'length' : undefined;
}
