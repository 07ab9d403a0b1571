# The image of ado-port: one static program, the certificates of the public
# authorities and the folders that the charts expect, nothing else. No shell.
#
#   docker build -t ado-port \
#     --build-arg VERSION=0.1.0 --build-arg COMMIT=$(git rev-parse HEAD) --build-arg DATE=$(git log -1 --format=%cI) .
#   docker buildx build --platform linux/amd64,linux/arm64 … .
#   docker build --target sbom --output dist .   # what is in it: dist/ado-port.cdx.json (CycloneDX)
#
# deploy/release makes the same with everything filled in. Any image with this Go, a
# shell and /etc/ssl/certs/ca-certificates.crt can stand in for the official one.

ARG GO_IMAGE=golang:1.26.8

# The compiler runs on the machine that builds and makes code for the other one.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
ARG TARGETOS
ARG TARGETARCH
# The same flags as in deploy/release: the same source makes the same bytes.
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -buildvcs=false -trimpath \
    -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.date=${DATE}" -o /image/usr/bin/ado-port .
# Any user may run the image, so what has to be written is open to everyone, and
# sticky: nobody replaces what another user has written. The charts put a volume on
# /tmp/ocean. `ocean` is the name of the Python program.
RUN mkdir -p /image/app /image/etc/ssl/certs /image/usr/local/share/ca-certificates \
      /image/tmp/ocean/streaming /image/tmp/ocean/.config /image/tmp/port-agent && \
    chmod 1777 /image/tmp /image/tmp/ocean /image/tmp/ocean/streaming /image/tmp/ocean/.config /image/tmp/port-agent && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt && \
    ln -s ado-port /image/usr/bin/ocean

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS list
ARG VERSION=dev
COPY --from=build /image/usr/bin/ado-port /ado-port
RUN go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 \
    bin -json -std -noserial -notimestamp -version "${VERSION}" -output /ado-port.cdx.json /ado-port

FROM scratch AS sbom
COPY --from=list /ado-port.cdx.json /

FROM scratch
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
LABEL INTEGRATION_VERSION="${VERSION}" \
      org.opencontainers.image.title="ado-port" \
      org.opencontainers.image.description="Keeps a Port catalog in step with Azure DevOps" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${DATE}" \
      org.opencontainers.image.source="https://github.com/ado-port/ado-port" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
ENV PATH=/usr/bin
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 1001:1001
ENTRYPOINT ["/usr/bin/ado-port"]
