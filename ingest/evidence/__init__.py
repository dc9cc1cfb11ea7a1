"""What people do with the evidence log: look, check, back up, decide; and the quarantine beside it."""
