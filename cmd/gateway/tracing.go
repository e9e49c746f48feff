package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// flushSpans bounds how long the last spans may take to leave.
const flushSpans = 3 * time.Second

// tracing sends spans where OpenTelemetry's standard settings say, in OTLP over HTTP.
type tracing struct{ provider *trace.TracerProvider }

// newTracing reads the settings from the process's environment, as OpenTelemetry's own parts do. It returns nil unless they
// name an endpoint.
func newTracing(log *slog.Logger) (*tracing, error) {
	set := func(name string) bool { return os.Getenv(name) != "" }
	off := strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none"
	if off || !set("OTEL_EXPORTER_OTLP_ENDPOINT") && !set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(context.Background()) // does not connect
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	about, err := resource.New(context.Background(), resource.WithAttributes(
		attribute.String("service.name", "roost"), attribute.String("service.version", build().Version)), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were not sent", "err", err) }))
	return &tracing{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}, nil
}

// tracer returns where spans begin, or nil if there is no tracing.
func (t *tracing) tracer() api.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("roost")
}

// stop sends what is left.
func (t *tracing) stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushSpans)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the error handler has been told
}
