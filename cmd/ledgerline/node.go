package main

// What ledgerline itself keeps in the data directory, beside the servers' folders and what package node owns.
const (
	indexFile = "sequence.index" // the ledger's sequence index
	vaultFile = "vault.db"       // persons, devices, keys
)
