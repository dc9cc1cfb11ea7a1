"""The room grafana: dashboards, alerts and provisioning as code, and their sync to a Grafana that we do not own."""
