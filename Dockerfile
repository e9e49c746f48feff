# phoenix.js for the demo page of `gateway dev`.
FROM node:22-slim AS page
WORKDIR /web
COPY web/package.json web/build.mjs ./
COPY web/dist dist
RUN npm install --no-package-lock --no-audit --no-fund --ignore-scripts && node build.mjs

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=page /web/dist web/dist
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /gateway ./cmd/gateway

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /gateway /gateway
USER 65532:65532
EXPOSE 4000 4001
ENTRYPOINT ["/gateway"]
