package entraserver

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// The names by which Microsoft's public cloud is known: of the authority, of the issuer of v1 tokens, of Graph. A server
// that poses as the first also answers as the others, since programs that have the one written into them have them all.
const (
	publicLogin    = "login.microsoftonline.com"
	publicV1Issuer = "sts.windows.net"
	publicGraph    = "graph.microsoft.com"
)

// poses reports whether the server was told to answer as if it were the host.
func (s *Server) poses(host string) bool {
	return slices.ContainsFunc(s.config.PoseAs, func(h string) bool { return strings.EqualFold(h, host) })
}

// authorityAs is the authority of a host that the server poses as. Its v1 issuer is the one of Microsoft's clouds.
func authorityAs(host string) authority {
	v1 := publicV1Issuer
	if strings.HasSuffix(host, ".cn") {
		v1 = "sts.chinacloudapi.cn"
	}
	return authority{"https://" + host, "https://" + v1 + "/"}
}

// authorities are all as which the server may answer: itself first.
func (s *Server) authorities() []authority {
	all := []authority{s.self()}
	for _, host := range s.config.PoseAs {
		if !isGraphHost(host) {
			all = append(all, authorityAs(strings.ToLower(host)))
		}
	}
	return all
}

func isGraphHost(host string) bool {
	return strings.HasPrefix(strings.ToLower(host), "graph.") || strings.HasPrefix(strings.ToLower(host), "microsoftgraph.")
}

// posedHost returns the host of a request when the server was told to pose as it, else "". A port other than 443 is
// part of a name that nobody poses as.
func (s *Server) posedHost(r *http.Request) string {
	host := strings.ToLower(r.Host)
	if name, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = name
	}
	if s.poses(host) {
		return host
	}
	return ""
}

// authorityOf returns as whom a request is answered.
func (s *Server) authorityOf(r *http.Request) authority {
	if host := s.posedHost(r); host != "" && !isGraphHost(host) {
		return authorityAs(host)
	}
	return s.self()
}

// graphBase is where the links of Graph's answers lead: to where the request came from.
func (s *Server) graphBase(r *http.Request) string {
	if host := s.posedHost(r); host != "" {
		return "https://" + host
	}
	return s.config.URL
}
