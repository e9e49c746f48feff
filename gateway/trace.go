package gateway

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of spans.
const (
	attrConnection = attribute.Key("roost.connection")
	attrTopic      = attribute.Key("roost.topic")
	attrEvent      = attribute.Key("roost.event")
)

// remoteSpan returns the span that a handshake names in its traceparent header, or nil.
func remoteSpan(h http.Header) *trace.SpanContext {
	if h.Get("Traceparent") == "" {
		return nil
	}
	found := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h)))
	if !found.IsValid() {
		return nil
	}
	return &found
}

// span begins a span of o's handshake, as a child of the one that its client named. Without a tracer the context carries
// that one on, so that the backend sees it all the same.
func (g *Gateway) span(ctx context.Context, o *offer) (context.Context, trace.Span) {
	if o.trace != nil {
		ctx = trace.ContextWithRemoteSpanContext(ctx, *o.trace)
	}
	if g.cfg.Tracer == nil {
		return ctx, noSpan
	}
	return g.cfg.Tracer.Start(ctx, "roost.connect", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attrConnection.String(o.client.Connection), attribute.String("roost.transport", o.client.Transport)))
}

// span begins a span of something that c does for its client about topic. Without a tracer the context carries the span on
// that the handshake named, if it did.
func (c *conn) span(ctx context.Context, name, topic, event string) (context.Context, trace.Span) {
	if c.trace != nil {
		ctx = trace.ContextWithRemoteSpanContext(ctx, *c.trace)
	}
	if c.gw.cfg.Tracer == nil {
		return ctx, noSpan
	}
	return c.gw.cfg.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attrConnection.String(c.client().Connection), attrTopic.String(topic), attrEvent.String(event)))
}

// child begins a span of something that is published on the way of another.
func (c *conn) child(ctx context.Context, name, topic, event string) (context.Context, trace.Span) {
	if c.gw.cfg.Tracer == nil {
		return ctx, noSpan
	}
	return c.gw.cfg.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attrConnection.String(c.client().Connection), attrTopic.String(topic), attrEvent.String(event)))
}

// noSpan does nothing.
var noSpan = trace.SpanFromContext(context.Background())

// failSpan says in the span of ctx, if there is one, that its work failed.
func failSpan(ctx context.Context, err error) {
	if span := trace.SpanFromContext(ctx); err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, err.Error())
	}
}
