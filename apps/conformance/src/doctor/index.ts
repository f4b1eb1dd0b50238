/** What the doctor is held to: machines with the groups that their kernels made, and their texts with other options of lspci. */
export { DEGRADATIONS, onlyDevices, withoutDevice, type Degradation } from './degradations.ts';
export { fieldMachines, groupsAmong, groupsOfLog, type FieldMachine } from './field-machines.ts';
export { kernelGroups, misfits } from './fits.ts';
export { knowledge, knowledgeTable, type Ask, type KnowledgeRow, type Part } from './knowledge.ts';
export { blocksOf, textOfBlocks, type LspciBlock } from './lspci-blocks.ts';
export { unproved } from './prove.ts';
export { fieldQuestions, type FieldAnswer, type FieldQuestion } from './questions.ts';
export { renderMachine, type RenderOptions } from './render.ts';
export { NO_SCORE, score, sum, type Said, type Score } from './score.ts';
export { randomOf, variantOf } from './variants.ts';
export { skeletonOf, vendorOfName } from './skeleton.ts';
