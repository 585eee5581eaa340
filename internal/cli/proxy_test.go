package cli_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/onbehalf/onbehalf/internal/localhost"
)

// connectProxy is a program of the scripts: an HTTP proxy that knows CONNECT alone. login.microsoftonline.com leads to
// ENTRA, mcp.contoso.example to the MCP server, whose TLS ends here; every other host is refused. Each host asked for is
// a line of the file proxied; the authority for the server is in proxy.pem.
//
//	background proxy listening connectproxy ENTRA MCP ADDRESS
func connectProxy() {
	if err := runProxy(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// proxiedServer is the name of the MCP server behind the proxy.
const proxiedServer = "mcp.contoso.example"

func runProxy(entra, mcp, addr string) error {
	entraURL, err := url.Parse(entra)
	if err != nil {
		return err
	}
	mcpURL, err := url.Parse(mcp)
	if err != nil {
		return err
	}
	ca, err := localhost.NewPosingCA(time.Now(), proxiedServer)
	if err != nil {
		return err
	}
	config, err := ca.ServerTLS()
	if err != nil {
		return err
	}
	front, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = mcpURL.Scheme, mcpURL.Host
	}}
	go func() {
		_ = http.Serve(front, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// An answer that begins before the end of the request's body was seen would otherwise cut that body off.
			_ = http.NewResponseController(w).EnableFullDuplex()
			forward.ServeHTTP(w, r)
		}))
	}()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	seen, err := os.OpenFile("proxied", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = os.WriteFile("proxy.pem", ca.PEM(), 0o600); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "listening")
	where := map[string]string{"login.microsoftonline.com:443": entraURL.Host, proxiedServer + ":443": front.Addr().String()}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(seen, r.Method, r.Host)
		target := where[r.Host]
		if r.Method != http.MethodConnect || target == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		tunnel(w, target)
	}))
}

// tunnel joins the client's connection and one to the target.
func tunnel(w http.ResponseWriter, target string) {
	there, err := net.Dial("tcp", target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(there, here) }()
	_, _ = io.Copy(here, there)
}
