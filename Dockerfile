# phoenix.js for the demo page of `gateway dev`.
FROM --platform=$BUILDPLATFORM node:22-slim AS page
WORKDIR /web
COPY web/package.json web/build.mjs ./
COPY web/dist dist
RUN npm install --no-package-lock --no-audit --no-fund --ignore-scripts && node build.mjs

# The compiler runs on the builder's own architecture, whatever the image is for. The same source, Go and arguments make
# the same bytes (test/image).
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=page /web/dist web/dist
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION=devel
ARG REVISION=unknown
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION} -X main.revision=${REVISION}" -o /gateway ./cmd/gateway

FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Roost" \
      org.opencontainers.image.description="Phoenix Channels for any backend" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /gateway /gateway
USER 65532:65532
EXPOSE 4000 4001
# Alive, not ready: a pod that lost Redis keeps its sockets, and must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/gateway", "health"]
ENTRYPOINT ["/gateway"]
