# Two stages: build with the whole toolchain, run with a certificate store and nothing else.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin takedown && cp target/release/takedown /takedown

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home takedown \
    && install -d -o takedown -g takedown /rehearsal
COPY --from=build /takedown /usr/local/bin/takedown
USER 10001
WORKDIR /home/takedown
# SIGTERM drains: the orchestrator must wait longer than `worker.drain_timeout` (25 s).
STOPSIGNAL SIGTERM
ENTRYPOINT ["takedown"]
CMD ["--help"]
