// Read a structured report as OHIF does, and print its measurements: node hydrate.mjs REPORT IMAGE...
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const packages = createRequire(path.join(process.env.OHIF_PACKAGES, 'package.json'));
globalThis.window ??= globalThis;
const dcmjs = packages('dcmjs');
const { adaptersSR } = await import(path.join(process.env.OHIF_PACKAGES, 'node_modules/@cornerstonejs/adapters/dist/esm/index.js'));
const core = await import(path.join(process.env.OHIF_PACKAGES, 'node_modules/@cornerstonejs/core/dist/esm/index.js'));

const read = (file) => {
  const bytes = fs.readFileSync(file);
  const data = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(data.dict);
};
const [report, ...images] = process.argv.slice(2);
const identifiers = {};
const planes = {};
for (const file of images) {
  const image = read(file);
  const id = `image:${image.SOPInstanceUID}`;
  identifiers[`${image.SOPInstanceUID}:1`] = id;
  const directions = image.ImageOrientationPatient.map(Number);
  planes[id] = {
    imagePositionPatient: image.ImagePositionPatient.map(Number),
    rowCosines: directions.slice(0, 3),
    columnCosines: directions.slice(3),
    rowPixelSpacing: Number(image.PixelSpacing[1]), // along the rows, as this function uses it
    columnPixelSpacing: Number(image.PixelSpacing[0]),
    frameOfReferenceUID: image.FrameOfReferenceUID,
  };
}
const provider = (kind, id) => (kind === 'imagePlaneModule' ? planes[id] : undefined);
core.metaData.addProvider(provider, 1000);
const state = adaptersSR.Cornerstone3D.MeasurementReport.generateToolState(read(report), identifiers, { get: provider });
const found = Object.entries(state).flatMap(([tool, list]) =>
  list.map((each) => ({
    tool,
    uid: each.TrackingUniqueIdentifier,
    label: each.annotation.data.label,
    points: each.annotation.data.handles.points,
    stated: Object.values(each.annotation.data.cachedStats)[0],
  })),
);
console.log(JSON.stringify(found));
process.exit(0);
