posthog.init('phc_key', {
  api_host: location.origin,
  autocapture: true,
  capture_pageview: true,
  capture_pageleave: true,
  disable_session_recording: true,
  disable_surveys: true,
  advanced_disable_flags: true,
  opt_out_useragent_filter: true, // it leaves out browsers that programs drive
});
posthog.identify('u-1', { plan: 'team', company: { label: 'Größe 1', staff: 11 } });
posthog.group('company', 'g-1', { industry: 'Bücher', seats: 101 });
posthog.capture('citation_click', { citation_id: 'ci-1', answer_id: 'an-1', position: 2, slot: 'inline', page_view_id: 'v-1' });
onClick(() => posthog.capture('Menu Opened', { tree: { left: ['x', 1.5, { deep: '世界 👋' }] } }));
onOrder(() => posthog.capture('Order Completed', { order_id: 'o-1', total: 49.5, currency: 'EUR', products: [{ sku: 's-1', price: 19.25 }] }));
