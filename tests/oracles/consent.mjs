// Random valid TC and GPP strings with what the IAB's own decoders read from them, one JSON object a line:
//   EVENTLIB_ORACLES=/folder/with/node_modules node tests/oracles/consent.mjs SEED COUNT
// needs @iabtcf/core 1.5.6 and @iabgpp/cmpapi 3.2.0. Sets of ids are written as runs [first, last].

import { createRequire } from "node:module";

if (!process.env.EVENTLIB_ORACLES) throw new Error("EVENTLIB_ORACLES names no folder that holds node_modules");
const require = createRequire(`${process.env.EVENTLIB_ORACLES}/oracle.js`);
const { TCModel, TCString, SegmentEncoder, PurposeRestriction } = require("@iabtcf/core");
const { GppModel, RangeEntry } = require("@iabgpp/cmpapi");

let state = Number(process.argv[2]) >>> 0;
const count = Number(process.argv[3]);

function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (values) => values[below(values.length)];
const chance = (share) => random() < share;
const letter = () => String.fromCharCode(65 + below(26));
const day = () => new Date(86_400_000 * (17_000 + below(5_000)));

function ids(largest) {
  const made = new Set();
  const runs = pick([0, 1, 1, 3, 12]);
  for (let run = 0; run < runs; run += 1) {
    const first = 1 + below(largest);
    const last = Math.min(largest, first + pick([0, 0, 1, 7, below(largest)]));
    for (let id = first; id <= last; id += 1) made.add(id);
  }
  return [...made].sort((left, right) => left - right);
}

function runs(numbers) {
  const made = [];
  for (const id of [...numbers].sort((left, right) => left - right)) {
    if (made.length && made.at(-1)[1] === id - 1) made.at(-1)[1] = id;
    else made.push([id, id]);
  }
  return made;
}

const members = (vector) => [...vector].filter(([, held]) => held).map(([id]) => id);
const largest = () => pick([20, 60, 800, 800, 1500, chance(0.2) ? 65_535 : 300]);

function tcModel() {
  const model = new TCModel();
  model.version = 2;
  model.created = day();
  model.lastUpdated = chance(0.7) ? model.created : new Date(model.created.getTime() + 100 * below(1e6));
  model.cmpId = 2 + below(4094);
  model.cmpVersion = below(4096);
  model.consentScreen = below(64);
  model.consentLanguage = letter() + letter();
  model.publisherCountryCode = letter() + letter();
  model.vendorListVersion = 1 + below(4095);
  model.policyVersion = pick([2, 3, 4, 5]);
  model.isServiceSpecific = chance(0.95);
  model.useNonStandardStacks = chance(0.3);
  model.purposeOneTreatment = chance(0.3);
  const most = largest();
  const sets = {
    specialFeatureOptins: ids(12), purposeConsents: ids(24), purposeLegitimateInterests: ids(24),
    publisherConsents: ids(24), publisherLegitimateInterests: ids(24),
    vendorConsents: ids(most), vendorLegitimateInterests: ids(most),
    vendorsDisclosed: ids(most), vendorsAllowed: ids(most),
  };
  for (const [name, held] of Object.entries(sets)) model[name].set(held);
  model.numCustomPurposes = pick([0, 0, 3, 63]);
  if (model.numCustomPurposes) {
    model.publisherCustomConsents.set(ids(model.numCustomPurposes));
    model.publisherCustomLegitimateInterests.set(ids(model.numCustomPurposes));
  }
  const restricted = Math.min(most, 300);
  model.publisherRestrictions.gvl = { vendorIds: new Set(Array.from({ length: restricted }, (_, at) => at + 1)) };
  for (let made = pick([0, 0, 1, 4]); made > 0; made -= 1) {
    const restriction = new PurposeRestriction(1 + below(24), below(3));
    for (const vendor of ids(restricted)) model.publisherRestrictions.add(vendor, restriction);
  }
  return model;
}

function readTcf(text) {
  const model = TCString.decode(text);
  const restrictions = {};
  for (const restriction of model.publisherRestrictions.getRestrictions()) {
    const key = `${restriction.purposeId},${restriction.restrictionType}`;
    restrictions[key] = runs(model.publisherRestrictions.getVendors(restriction));
  }
  const read = { publisherRestrictions: restrictions };
  for (const name of ["cmpId", "cmpVersion", "consentScreen", "consentLanguage", "publisherCountryCode",
    "vendorListVersion", "policyVersion", "isServiceSpecific", "useNonStandardStacks", "purposeOneTreatment",
    "numCustomPurposes"]) read[name] = model[name];
  for (const name of ["created", "lastUpdated"]) read[name] = model[name].getTime();
  for (const name of ["specialFeatureOptins", "purposeConsents", "purposeLegitimateInterests", "vendorConsents",
    "vendorLegitimateInterests", "publisherConsents", "publisherLegitimateInterests", "publisherCustomConsents",
    "publisherCustomLegitimateInterests", "vendorsDisclosed", "vendorsAllowed"]) read[name] = runs(members(model[name]));
  return read;
}

function tcf() {
  const model = tcModel();
  const segments = ["vendorsDisclosed", "vendorsAllowed", "publisherTC"].filter(() => chance(0.5));
  if (chance(0.3)) segments.reverse();
  const text = ["core", ...segments].map((segment) => SegmentEncoder.encode(model, segment)).join(".");
  return { kind: "tcf", text, segments, read: readTcf(text) };
}

const US = ["usnat", "usca", "usva", "usco", "usut", "usct", "usfl", "usmt", "usor", "ustx", "usde", "usia", "usne",
  "usnh", "usnj", "ustn", "usmn", "usmd", "usin", "usky", "usri"];

function choose(name, old) {
  if (name === "MspaCoveredTransaction") return 1 + below(2);
  if (typeof old === "boolean") return chance(0.5);
  return Array.isArray(old) ? old.map(() => below(3)) : below(3);
}

function fillUs(model, section) {
  model.setFieldValue(section, "MspaCoveredTransaction", 1);
  const old = model.getSection(section);
  const names = (Array.isArray(old) ? old : [old]).flatMap((part) => Object.entries(part));
  for (const [name, value] of names) {
    if (/Version$|Type$/.test(name)) continue;
    model.setFieldValue(section, name, choose(name, value));
  }
  for (const included of ["GpcSegmentIncluded", "SensitiveDataConsentSegmentIncluded"]) {
    if (model.hasField(section, included)) model.setFieldValue(section, included, chance(0.5));
  }
  if (section === "usnat" && chance(0.5)) model.setFieldValue(section, "Version", 1);
}

function bits(width) {
  const held = new Set(ids(width));
  return Array.from({ length: width }, (_, at) => held.has(at + 1));
}

function fillTcf(model, section, names) {
  const most = Math.min(largest(), 1500);
  for (const name of names.purposes) model.setFieldValue(section, name, bits(24));
  for (const name of names.features) model.setFieldValue(section, name, bits(12));
  for (const name of names.vendors) model.setFieldValue(section, name, ids(most));
  model.setFieldValue(section, "CmpId", below(4096));
  model.setFieldValue(section, "ConsentLanguage", letter() + letter());
  model.setFieldValue(section, "VendorListVersion", below(4096));
  const restricted = new Map();
  for (let made = pick([0, 0, 1, 3]); made > 0; made -= 1) {
    const [purpose, kind, held] = [1 + below(24), below(3), ids(most)];
    if (held.length) restricted.set(`${purpose},${kind}`, new RangeEntry(purpose, kind, held));
  }
  model.setFieldValue(section, names.restrictions, [...restricted.values()]);
  const custom = pick([0, 3, 63]);
  model.setFieldValue(section, "NumCustomPurposes", custom);
  for (const name of names.custom) model.setFieldValue(section, name, bits(custom));
  model.setFieldValue(section, "Created", day());
  model.setFieldValue(section, "LastUpdated", new Date(model.getFieldValue(section, "Created")));
}

const FILL = {
  tcfeuv2: (model) => fillTcf(model, "tcfeuv2", {
    purposes: ["PurposeConsents", "PurposeLegitimateInterests", "PublisherConsents", "PublisherLegitimateInterests"],
    features: ["SpecialFeatureOptins"],
    restrictions: "PublisherRestrictions",
    vendors: ["VendorConsents", "VendorLegitimateInterests", "VendorsDisclosed"],
    custom: ["PublisherCustomConsents", "PublisherCustomLegitimateInterests"],
  }),
  tcfcav1: (model) => fillTcf(model, "tcfcav1", {
    purposes: ["PurposesExpressConsent", "PurposesImpliedConsent", "PubPurposesExpressConsent", "PubPurposesImpliedConsent"],
    features: ["SpecialFeatureExpressConsent"],
    restrictions: "PubRestrictions",
    vendors: ["VendorExpressConsent", "VendorImpliedConsent", "DisclosedVendors"],
    custom: ["CustomPurposesExpressConsent", "CustomPurposesImpliedConsent"],
  }),
  uspv1: (model) => {
    for (const name of ["Notice", "OptOutSale", "LspaCovered"]) model.setFieldValue("uspv1", name, pick(["Y", "N", "-"]));
  },
};

function readable(name, value) {
  if (value instanceof Date) return value.getTime();
  if (!Array.isArray(value)) return value;
  if (/Restrictions/.test(name)) {
    return Object.fromEntries(value.map((entry) => [`${entry.getKey()},${entry.getType()}`, runs(entry.getIds())]));
  }
  if (typeof value[0] === "boolean") return value.map((held) => (held ? 1 : 0)).join("");
  return /Vendor/.test(name) ? runs(value) : value;
}

function readGpp(text) {
  const read = {};
  for (const [section, fields] of Object.entries(new GppModel(text).toObject())) {
    read[section] = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, readable(name, value)]));
  }
  return read;
}

function gpp() {
  const model = new GppModel();
  const sections = [...new Set(Array.from({ length: 1 + below(4) }, () => pick([...US, ...Object.keys(FILL)])))];
  for (const section of sections) (FILL[section] ?? ((made) => fillUs(made, section)))(model);
  const text = model.encode();
  return { kind: "gpp", text, sections: model.getSectionIds(), read: readGpp(text) };
}

for (let made = 0; made < count; made += 1) {
  console.log(JSON.stringify(tcf()));
  console.log(JSON.stringify(gpp()));
}
