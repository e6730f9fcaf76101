"""The paper, regenerated: pipeline, claims, report, command line."""
