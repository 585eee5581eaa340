package entraserver

import (
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// consumersTenant is the tenant of personal Microsoft accounts, of which this server has none.
const consumersTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// tenantRef is the first segment of a path, understood.
type tenantRef struct {
	segment string            // as discovery repeats it: the GUID, or common, organizations, consumers
	id      identity.TenantID // zero for common and organizations
}

// anyTenant reports whether the segment leaves open which tenant the person is from.
func (t tenantRef) anyTenant() bool { return t.id.IsZero() }

// issuerSegment is what stands in an issuer in the tenant's place.
func (t tenantRef) issuerSegment() string {
	if t.anyTenant() {
		return "{tenantid}"
	}
	return t.id.String()
}

// checkTenant understands the tenant segment of the path; "" is a path without one.
func (s *Server) checkTenant(c *call, segment string) error {
	if segment == "" {
		c.tenant = tenantRef{s.dir.Tenant().String(), s.dir.Tenant()}
		return nil
	}
	switch segment {
	case "common", "organizations":
		c.tenant = tenantRef{segment: segment}
	case "consumers", consumersTenant:
		c.tenant = tenantRef{segment, mustTenant(consumersTenant)}
	case s.dir.Domain(), s.dir.Tenant().String():
		c.tenant = tenantRef{s.dir.Tenant().String(), s.dir.Tenant()}
	default:
		if _, err := identity.ParseTenantID(segment); err != nil && !strings.Contains(segment, ".") {
			return refuse(900023, segment)
		}
		return refuse(90002, segment)
	}
	return nil
}

// authority is as whom the server answers: itself, or a host that it was told to pose as.
type authority struct {
	base  string // "https://localhost:8443", the v2 issuer's beginning
	v1    string // the v1 issuer's beginning, with a trailing slash: "https://localhost:8443/"
	graph string // the host of Microsoft Graph: "localhost:8443"
}

// issuer returns the issuer of tokens of the version.
func (a authority) issuer(version int, tenant string) string {
	if version == 1 {
		return a.v1 + tenant + "/"
	}
	return a.base + "/" + tenant + "/v2.0"
}

// host returns the authority's host with its port.
func (a authority) host() string { return strings.TrimPrefix(a.base, "https://") }

// self is the authority that the server really is.
func (s *Server) self() authority {
	return authority{s.config.URL, s.config.URL + "/", strings.TrimPrefix(s.config.URL, "https://")}
}
