# The production server: serve, web, healthcheck; no stand-in, no set-up code. "make image" builds the static binary
# first, which reaches the module registry and nothing else; this file adds no network of its own. The certificate
# authorities of Mozilla's list are inside the binary.
FROM scratch
COPY bin/onbehalf-server /onbehalf-server
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s CMD ["/onbehalf-server", "healthcheck"]
ENTRYPOINT ["/onbehalf-server"]
CMD ["serve", "--addr", "0.0.0.0:8000"]
