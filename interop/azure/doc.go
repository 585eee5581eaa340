// Package azure runs the whole way, from an empty tenant to the first answer and back, against a real tenant (see
// "make e2e-azure" and docs/azure.md).
package azure
