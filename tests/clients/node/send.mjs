// Sends a story, read as JSON from the standard input, with one tracker: node send.mjs TRACKER COLLECTOR-URL
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const require = createRequire(import.meta.url);
const [name, url] = process.argv.slice(2);
const BATCH = 25;

function segmentLike(client) {
  return ({ call, name: named, user, anonymous, properties }) => {
    const who = { userId: user, anonymousId: anonymous };
    switch (call) {
      case 'identify': return client.identify({ ...who, traits: properties });
      case 'group': return client.group({ ...who, groupId: named, traits: properties });
      case 'alias': return client.alias({ userId: user, previousId: anonymous });
      case 'track': return client.track({ ...who, event: named, properties });
      default: return client[call]({ ...who, name: named, properties: { category: 'Docs', ...properties } });
    }
  };
}

const trackers = {
  segment() {
    const { Analytics } = require('@segment/analytics-node');
    const client = new Analytics({ writeKey: 'key', host: url, flushAt: BATCH, flushInterval: 50 });
    return { send: segmentLike(client), end: () => client.closeAndFlush() };
  },
  rudderstack() {
    const Analytics = require('@rudderstack/rudder-sdk-node');
    const client = new Analytics('key', { dataPlaneUrl: url, flushAt: BATCH, flushInterval: 50 });
    return { send: segmentLike(client), end: () => client.flush() };
  },
  posthog() {
    const { PostHog } = require('posthog-node');
    const client = new PostHog('phc_key', { host: url, flushAt: BATCH, flushInterval: 50, disableGeoip: true });
    const send = ({ call, name: named, user, anonymous, properties }) => {
      switch (call) {
        case 'identify': return client.identify({ distinctId: user, properties });
        case 'group': return client.groupIdentify({ groupType: 'company', groupKey: named, properties, distinctId: user });
        case 'alias': return client.alias({ distinctId: user, alias: anonymous });
        case 'page': return client.capture({ distinctId: user, event: '$pageview', properties: {
          $current_url: properties.url, $referrer: properties.referrer, title: properties.title } });
        case 'screen': return client.capture({ distinctId: user, event: '$screen', properties: { $screen_name: named, ...properties } });
        default: return client.capture({ distinctId: user, event: named, properties });
      }
    };
    return { send, end: () => client.shutdown() };
  },
  snowplow() {
    const { newTracker, buildPageView, buildScreenView, buildSelfDescribingEvent } = require('@snowplow/node-tracker');
    const { protocol, hostname, port } = new URL(url);
    const client = newTracker({ namespace: 'story', appId: 'library' }, {
      endpoint: hostname, port: Number(port), protocol: protocol.slice(0, -1), eventMethod: 'post', bufferSize: BATCH });
    const described = (event, data) => buildSelfDescribingEvent({ event: { schema: `iglu:org.example/${event}/jsonschema/1-0-0`, data } });
    const send = ({ call, name: named, user, anonymous, properties }) => {
      client.setUserId(user);
      client.setDomainUserId(anonymous);
      switch (call) {
        case 'page': return client.track(buildPageView({ pageUrl: properties.url, pageTitle: properties.title, referrer: properties.referrer }));
        case 'screen': return client.track(buildScreenView({ id: named, name: named }));
        case 'track': return client.track(described(named.toLowerCase().replaceAll(' ', '_'), properties));
        default: return null; // it has no such calls: people are told by the ids that each event carries
      }
    };
    return { send, end: () => client.flush() };
  },
};

const story = JSON.parse(await text(process.stdin));
const { send, end } = trackers[name]();
for (const told of story) send(told);
await end();
