package webhook

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// span begins the span of one call, if there is a tracer.
func (p *endpoint) span(ctx context.Context, e event) (context.Context, trace.Span) {
	if p.tracer == nil {
		return ctx, noSpan
	}
	return p.tracer.Start(ctx, "webhook "+types[e], trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", http.MethodPost), attribute.String("server.address", p.template.URL.Host)))
}

var noSpan = trace.SpanFromContext(context.Background())

// end says in span what became of its call. A refusal is an answer.
func end(span trace.Span, res result) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("roost.result", string(res)))
	if res != resultOK && res != resultRefused {
		span.SetStatus(codes.Error, string(res))
	}
}

// passOn tells the backend which trace a call belongs to: that of the call's span, or of the client that caused it.
func passOn(ctx context.Context, header http.Header) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	}
}
