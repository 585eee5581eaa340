package entraserver

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// checkPose wants plain host names, of which none is this machine's own.
func checkPose(hosts []string) error {
	for _, host := range hosts {
		if host == "" || strings.ContainsAny(host, ":/*@ ") || !strings.Contains(host, ".") || localhost.IsLoopbackHost(host) || net.ParseIP(host) != nil {
			return fmt.Errorf("pose as %q: want the name of a host, such as login.microsoftonline.com", host)
		}
	}
	return nil
}

// cloudOf returns the cloud of which the host is the authority or Graph. A host of no cloud is an authority of its own.
func cloudOf(host string) (entra.Cloud, bool) {
	clouds := entra.Clouds()
	i := slices.IndexFunc(clouds, func(c entra.Cloud) bool { return c.Authority == "https://"+host+"/" || c.Graph == "https://"+host })
	if i < 0 {
		return entra.Cloud{Authority: "https://" + host + "/", V1Issuer: "https://" + host + "/", Graph: "https://" + host}, false
	}
	return clouds[i], true
}

// authorityAs is the authority of a host that the server poses as: issuers and links are those of its cloud, for
// login.microsoftonline.com so also https://sts.windows.net/ in tokens of version 1.
func authorityAs(host string) authority {
	cloud, _ := cloudOf(host)
	return authority{base: strings.TrimSuffix(cloud.Authority, "/"), v1: cloud.V1Issuer, graph: strings.TrimPrefix(cloud.Graph, "https://")}
}

// authorities returns all as whom the server answers: itself first.
func (s *Server) authorities() []authority {
	all := []authority{s.self()}
	for _, host := range s.config.PoseAs {
		all = append(all, authorityAs(strings.ToLower(host)))
	}
	return all
}

// posedHost returns the host of a request when the server was told to pose as it, else "". Nobody poses as another port
// than 443.
func (s *Server) posedHost(r *http.Request) string {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":443")
	if slices.ContainsFunc(s.config.PoseAs, func(h string) bool { return strings.EqualFold(h, host) }) {
		return host
	}
	return ""
}

// authorityOf returns as whom a request is answered.
func (s *Server) authorityOf(r *http.Request) authority {
	if host := s.posedHost(r); host != "" {
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

// instances are the hosts that MSAL takes for one and the same as the authority's.
func (a authority) instances() []string {
	if a.base == "https://login.microsoftonline.com" {
		return []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}
	}
	return []string{a.host()}
}

// instanceName is cloud_instance_name of the metadata: "microsoftonline.com".
func (a authority) instanceName() string { return strings.TrimPrefix(a.host(), "login.") }
