const {
  newTracker, enableActivityTracking, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent,
} = window.snowplowBrowserTracking;
const described = (event, data) => trackSelfDescribingEvent({ event: { schema: `iglu:org.example/${event}/jsonschema/1-0-0`, data } });

newTracker('page', location.origin, { appId: 'library' });
enableActivityTracking({ minimumVisitLength: 1, heartbeatDelay: 1 });
setUserId('u-1');
trackPageView({ context: [{ schema: 'iglu:org.example/shelf/jsonschema/1-0-0', data: { label: 'Größe 1', staff: 11 } }] });
described('citation_click', { citation_id: 'ci-1', answer_id: 'an-1', position: 2, slot: 'inline' });
onClick(() => described('menu_opened', { tree: { left: ['x', 1.5, { deep: '世界 👋' }] } }));
onOrder(() => trackStructEvent({ category: 'orders', action: 'complete', label: 'o-1', property: 'EUR', value: 49.5 }));
