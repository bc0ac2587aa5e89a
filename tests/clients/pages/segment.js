const { AnalyticsBrowser } = window.AnalyticsNext;
const collector = { apiKey: 'key', apiHost: `${location.host}/v1`, protocol: 'http' };
// with settings of its own it asks no server for any
const analytics = AnalyticsBrowser.load({ writeKey: 'key', cdnSettings: { integrations: { 'Segment.io': collector } } });

analytics.page('Docs', 'Guide', { shelf: 'top' });
analytics.identify('u-1', { plan: 'team', company: { label: 'Größe 1', staff: 11 } });
analytics.group('g-1', { industry: 'Bücher', seats: 101 });
analytics.track('citation_click', { citation_id: 'ci-1', answer_id: 'an-1', position: 2, slot: 'inline', page_view_id: 'v-1' });
onClick(() => analytics.track('Menu Opened', { tree: { left: ['x', 1.5, { deep: '世界 👋' }] } }));
onOrder(() => analytics.track('Order Completed', { order_id: 'o-1', total: 49.5, currency: 'EUR', products: [{ sku: 's-1', price: 19.25 }] }));
