"""Records as spans of OpenTelemetry, over OTLP and HTTP. See docs/how-to/opentelemetry.md."""
