# The image of ado-port: one static program, the certificates of the public
# authorities and the folders that the charts expect, nothing else. No shell.
#
#   docker build --build-arg VERSION=0.1.0 -t ado-port .
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 -t ado-port .

ARG GO_VERSION=1.26

# The compiler runs on the machine that builds and makes code for the other one.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
# timetzdata: schedules may name a time zone, and the image has no zone files.
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -buildvcs=false -trimpath -tags timetzdata \
    -ldflags "-s -w -X main.version=${VERSION}" -o /image/usr/bin/ado-port .
# Any user may run the image, so what has to be written is open to everyone. The
# charts put a volume on /tmp/ocean; `ocean` is the name of the Python program.
RUN mkdir -p /image/app /image/etc/ssl/certs /image/tmp/ocean/streaming /image/tmp/ocean/.config /image/tmp/port-agent && \
    chmod 1777 /image/tmp && \
    chmod 0777 /image/tmp/ocean /image/tmp/ocean/streaming /image/tmp/ocean/.config /image/tmp/port-agent && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt && \
    ln -s ado-port /image/usr/bin/ocean

FROM scratch
ARG VERSION=dev
LABEL INTEGRATION_VERSION="${VERSION}" \
      org.opencontainers.image.title="ado-port" \
      org.opencontainers.image.description="Keeps a Port catalog in step with Azure DevOps" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="https://github.com/ado-port/ado-port" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
ENV PATH=/usr/bin
WORKDIR /app
# A number, so that Kubernetes can see that it is not root.
USER 1001:1001
ENTRYPOINT ["/usr/bin/ado-port"]
